/** One file of a tar, written piece by piece, as fast as it is read. */
// tar-stream: writes tar entry by entry, with backpressure, and any length by its pax headers.
import type { Header, Pack } from 'tar-stream';

/** Returns false when the tar broke off meanwhile: its reader is told, and nothing more is written. */
export async function writeFile(
  tar: Pack,
  header: Pick<Header, 'name' | 'size'> & { readonly mtime?: Date },
  pieces: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const entry = tar.entry(header);
  let [isOpen, wake] = [true, () => {}];
  entry.on('drain', () => wake());
  // It breaks off with the tar; an error that nobody hears would end the process.
  entry.on('error', () => {});
  entry.on('close', () => {
    isOpen = false;
    wake();
  });
  for await (const piece of pieces) {
    if (!isOpen) return false;
    if (entry.write(piece)) continue;
    await new Promise<void>((drained) => {
      wake = drained;
    });
  }
  entry.end(undefined);
  return true;
}
