/** The answer box: one id, of whatever table. A plain GET, so that an answer has an address. */
export function Ask({ id = '', table = '' }: { id?: string; table?: string }) {
  return (
    <search>
      <form id="ask" method="get" action="/why" className="flex flex-wrap items-end gap-3">
        <label className="grid min-w-0 flex-1 basis-72 gap-1 font-medium">
          Why was this kept or deleted? Paste an id
          <input
            name="id"
            defaultValue={id}
            required
            maxLength={8192}
            autoComplete="off"
            spellCheck={false}
            className="field font-normal"
          />
        </label>
        <label className="grid min-w-0 basis-52 gap-1 font-medium">
          Table (may stay empty)
          <input
            name="table"
            defaultValue={table}
            maxLength={130}
            autoComplete="off"
            spellCheck={false}
            className="field font-normal"
          />
        </label>
        <button type="submit" className="button" data-primary="">
          Answer
        </button>
      </form>
    </search>
  );
}
