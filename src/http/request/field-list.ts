const ELEMENTS = {
  ',': /(?:"(?:\\.|[^"\\])*"?|[^",])+/g,
  ';': /(?:"(?:\\.|[^"\\])*"?|[^";])+/g,
};

/** Splits the value of a header field, but not inside quoted strings (RFC 9110, 5.6.1 and 5.6.6), which may lack their end. */
export function splitField(text: string, separator: ',' | ';'): string[] {
  return (text.match(ELEMENTS[separator]) ?? []).map((element) => element.trim());
}
