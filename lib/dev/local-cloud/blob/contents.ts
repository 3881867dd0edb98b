/**
 * The bytes of the blobs: each put is a file of its own, never written again, so an overwrite is a new file
 * and a new line in the log; a bulk load is one file for all of it. Or everything in memory, for tests.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Place } from './meta';

export interface Contents {
  write(id: string, content: Uint8Array): Promise<void>;
  read(place: Place, size: number): Promise<Buffer>;
  remove(file: string): Promise<void>;
  /** Removes whatever is not in `files`: a kill between file and log leaves such. */
  keepOnly(files: ReadonlySet<string>): void;
}

export class FileContents implements Contents {
  constructor(
    readonly folder: string,
    readonly durable: boolean,
  ) {
    mkdirSync(folder, { recursive: true });
  }

  async write(id: string, content: Uint8Array): Promise<void> {
    const path = this.#path(id);
    if (!existsSync(dirname(path))) mkdirSync(dirname(path), { recursive: true });
    const file = await open(path, 'w');
    try {
      await file.writeFile(content);
      if (this.durable) await file.datasync();
    } finally {
      await file.close();
    }
  }

  async read({ file: id, offset }: Place, size: number): Promise<Buffer> {
    const file = await open(this.#path(id), 'r');
    try {
      const buffer = Buffer.alloc(size);
      await file.read(buffer, 0, size, offset);
      return buffer;
    } finally {
      await file.close();
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
  }

  keepOnly(files: ReadonlySet<string>): void {
    for (const shelf of readdirSync(this.folder)) {
      for (const id of readdirSync(join(this.folder, shelf))) {
        if (!files.has(id)) rmSync(join(this.folder, shelf, id));
      }
    }
  }

  /** 256 folders: a hundred thousand files in one make every look-up slow on some file systems. */
  #path(id: string): string {
    return join(this.folder, id.slice(-2), id);
  }
}

export class MemoryContents implements Contents {
  readonly #files = new Map<string, Uint8Array>();

  async write(id: string, content: Uint8Array): Promise<void> {
    this.#files.set(id, content);
  }

  async read({ file, offset }: Place, size: number): Promise<Buffer> {
    return Buffer.from(this.#files.get(file)!.subarray(offset, offset + size));
  }

  async remove(id: string): Promise<void> {
    this.#files.delete(id);
  }

  keepOnly(): void {}
}
