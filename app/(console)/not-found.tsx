/** Within the frame: what was asked for has no page, and everything else is where it was. */
export default function NothingHere() {
  return (
    <div className="grid max-w-2xl gap-3 py-8">
      <h1>There is no such page</h1>
      <p>
        Go to <a href="/">the policies</a>.
      </p>
    </div>
  );
}
