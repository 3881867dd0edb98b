/**
 * Forms of acts. Stopping is a button alone. What deletes more is typed: `Confirm` is a page of its own, which works in any
 * browser and without JavaScript. The server checks all of it again.
 */
import { type ReactNode, useId } from 'react';
import { type Said, saidTo } from '@/lib/http/console/said';

/** A form of an act. It names itself, so that what is answered reaches this form and no other of its page. */
export function Post(props: {
  id: string;
  action: string;
  values?: Readonly<Record<string, string>>;
  className?: string;
  children: ReactNode;
}) {
  const { id, action, values = {}, className, children } = props;
  return (
    <form id={id} method="post" action={action} className={className}>
      {Object.entries({ form: id, ...values }).map(([name, value]) => (
        <input key={name} type="hidden" name={name} value={value} />
      ))}
      {children}
    </form>
  );
}

/** One click: `values` are its hidden fields, `back` where its answer is shown. */
export function Act(props: {
  id: string;
  action: string;
  values: Readonly<Record<string, string>>;
  /** What it does, for who does not see what it stands beside. */
  label?: string;
  danger?: boolean;
  children: ReactNode;
}) {
  const { id, action, values, label, danger, children } = props;
  return (
    <Post {...{ id, action, values }} className="inline-flex">
      <button type="submit" className="button" aria-label={label} data-danger={danger ? '' : undefined}>
        {children}
      </button>
    </Post>
  );
}

/** A field with its words; keeps what was typed when the form came back, and says what is wrong with it. */
export function Field(props: {
  name: string;
  label: string;
  said: Said | null;
  hint?: ReactNode;
  type?: 'text' | 'number' | 'date' | 'datetime-local';
  value?: string;
  required?: boolean;
  maxLength?: number;
  /** The only text that is right, for a browser's own check. */
  exactly?: string;
  /** One of these, chosen and not typed. */
  options?: readonly string[];
}) {
  const {
    name,
    label,
    said,
    hint,
    type = 'text',
    value,
    required = true,
    maxLength,
    exactly,
    options,
  } = props;
  const id = useId();
  const wrong = said !== null && !said.done && said.field === name;
  const about = {
    ...{ id, name, required, className: 'field' },
    defaultValue: said?.typed[name] ?? value,
    'aria-invalid': wrong || undefined,
    'aria-describedby': hint || wrong ? `${id}-hint` : undefined,
  };
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      {options ? (
        <select {...about}>
          <option value="">{required ? 'Choose' : 'None'}</option>
          {options.map((option) => (
            <option key={option} value={option}>
              {option}
            </option>
          ))}
        </select>
      ) : (
        <input
          {...about}
          maxLength={maxLength}
          type={type}
          autoComplete="off"
          pattern={exactly === undefined ? undefined : literally(exactly)}
          title={exactly === undefined ? undefined : `Type ${exactly}`}
        />
      )}
      {(hint || wrong) && (
        <span id={`${id}-hint`} className={wrong ? 'text-bad' : 'text-sm text-quiet'}>
          {wrong ? said.text : hint}
        </span>
      )}
    </div>
  );
}

/** Any number of spaces is shown as one. */
const literally = (text: string): string =>
  text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replace(/\s+/g, '\\s+');

/** The name of what it is about, typed: only where more is deleted. */
export const TypedName = ({ name, value, said }: { name: string; value: string; said: Said | null }) => (
  <Field
    name={name}
    said={said}
    exactly={value}
    label={`Type ${value} to confirm`}
    hint="Letter by letter, as it is written here."
  />
);

/** A question with its number, what follows from yes, and two answers that name what they do. */
export function Confirm(props: {
  id: string;
  action: string;
  values: Readonly<Record<string, string>>;
  consequences: readonly ReactNode[];
  /** What the act before this page answered, to whichever form. */
  said: Said | null;
  /** Its fields, the typed name, the reason, with what was answered to this form. */
  children: (said: Said | null) => ReactNode;
  /** The verb and the number. */
  yes: string;
  no: { readonly text: string; readonly href: string };
  danger?: boolean;
}) {
  const { id, action, values, consequences, said, children, yes, no, danger = true } = props;
  return (
    <Post {...{ id, action, values }} className="grid max-w-xl gap-4">
      <ul className="grid list-disc gap-1 pl-5">
        {consequences.map((line, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the lines never move
          <li key={i}>{line}</li>
        ))}
      </ul>
      {children(saidTo(said, id))}
      <div className="flex flex-wrap gap-3">
        <a href={no.href} className="button">
          {no.text}
        </a>
        <button
          type="submit"
          className="button"
          data-danger={danger ? '' : undefined}
          data-primary={danger ? undefined : ''}
        >
          {yes}
        </button>
      </div>
    </Post>
  );
}
