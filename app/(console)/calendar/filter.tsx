/** Which policy and organization the calendar is about. */
export function CalendarFilter(props: {
  action: string;
  policies: readonly string[];
  policy: string;
  organization: string;
}) {
  const { action, policies, policy, organization } = props;
  return (
    <form id="filter" method="get" action={action} className="flex flex-wrap items-end gap-3">
      <label className="grid basis-52 gap-1">
        Policy
        <select name="policy" defaultValue={policy} className="field">
          <option value="">all</option>
          {policies.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label className="grid basis-72 gap-1">
        Organization (its id)
        <input name="org" defaultValue={organization} maxLength={200} autoComplete="off" className="field" />
      </label>
      <button type="submit" className="button">
        Show
      </button>
    </form>
  );
}
