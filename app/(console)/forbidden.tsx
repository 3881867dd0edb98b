/** Within the frame, which says who is signed in. */
export default function PageForbidden() {
  return (
    <div className="grid max-w-2xl gap-3 py-8">
      <h1>Your role does not open this page</h1>
      <p>
        LAPSE_OPERATORS says who has which role. Nothing was read. Go to <a href="/">the policies</a>.
      </p>
    </div>
  );
}
