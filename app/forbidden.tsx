export default function Forbidden() {
  return (
    <main className="mx-auto grid max-w-2xl gap-3 px-4 py-12">
      <h1>Your role does not open this page</h1>
      <p>
        LAPSE_OPERATORS says who has which role. Nothing was read. Go to <a href="/">the policies</a>.
      </p>
    </main>
  );
}
