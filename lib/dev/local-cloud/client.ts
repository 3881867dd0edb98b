/**
 * A client of PostgreSQL whose failed login leaves nothing open. Asked for a password that it does not have, pg's own gives up and
 * keeps the connection: until the server's authentication_timeout, a minute, it then makes no database and drops none.
 */
import type { Socket } from 'node:net';
import { Client as PgClient } from 'pg';

type Connected = (error: Error | null, client: Client) => void;

export class Client extends PgClient {
  override connect(): Promise<this>;
  override connect(connected: Connected): void;
  override connect(connected?: Connected): Promise<this> | undefined {
    if (!connected) {
      return new Promise((resolve, reject) => {
        this.connect((error) => (error ? reject(error) : resolve(this)));
      });
    }
    super.connect((error: Error | null) => {
      // Typed nowhere; the socket is there from the constructor on.
      if (error) (this as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
      connected(error, this);
    });
  }
}
