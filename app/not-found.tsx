export default function NotFound() {
  return (
    <main className="mx-auto grid max-w-2xl gap-3 px-4 py-12">
      <h1>There is no such page</h1>
      <p>
        Go to <a href="/">the policies</a>.
      </p>
    </main>
  );
}
