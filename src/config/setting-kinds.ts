/** How the values of a setting are written and read. */
export interface Kind<T> {
  /** How a value is written, in words that fit after "must be". */
  readonly form: string;
  /** Returns what `text` means; undefined if it does not have the form. */
  readonly parse: (text: string) => T | undefined;
}

/** Nothing else counts as one of them. */
export const TRUE_OR_FALSE: Kind<boolean> = {
  form: 'true or false',
  parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

export function oneOf<T extends string>(values: readonly T[]): Kind<T> {
  return {
    form: `one of ${values.join(', ')}`,
    parse: (text) => values.find((value) => value === text),
  };
}

export function wholeNumber(least: number, most: number, unit?: string): Kind<number> {
  return {
    form: `a number ${unit === undefined ? '' : `of ${unit} `}from ${least} to ${most}`,
    parse: (text) => {
      const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
      return value >= least && value <= most ? value : undefined;
    },
  };
}

export function file(contents: string): Kind<string> {
  return { form: `the path of a file with ${contents}`, parse: (path) => path };
}

/** An empty text is an empty list. */
export function list(
  items: string,
  parseItem: (text: string) => string | undefined,
): Kind<readonly string[]> {
  return {
    form: `${items} separated by commas`,
    parse: (text) => {
      const values = text === '' ? [] : text.split(',').map((item) => parseItem(item.trim()));
      return values.every((value) => value !== undefined) ? values : undefined;
    },
  };
}
