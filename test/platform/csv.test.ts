import { expect, it } from 'vitest';
import { csv } from '@/lib/platform/csv';

it('a field that holds a comma, a quote or a line break is quoted', () => {
  expect(
    csv(
      ['a', 'b'],
      [
        ['x,y', 'say "no"'],
        ['two\nlines', '\r'],
      ],
    ),
  ).toBe(`a,b\r\n"x,y","say ""no"""\r\n"two\nlines","'\r"\r\n`);
});

it('what a spreadsheet would take for a formula is text, and a negative number stays one', () => {
  expect(csv(['a', 'b', 'c', 'd', 'e'], [['=1+1', '+1', '-1', '@x', -1]])).toBe(
    "a,b,c,d,e\r\n'=1+1,'+1,'-1,'@x,-1\r\n",
  );
  expect(csv(['a'], [[['=1+1', 'x']]])).toBe(`a\r\n"'=1+1,x"\r\n`);
});

it('nothing is an empty field, and without rows there is the header alone', () => {
  expect(csv(['a', 'b', 'c'], [[null, undefined, 0]])).toBe('a,b,c\r\n,,0\r\n');
  expect(csv(['a'], [])).toBe('a\r\n');
});
