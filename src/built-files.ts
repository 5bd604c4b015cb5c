/** The folder of what was built, for modules that read or run its files: tests that run the sources take those, too. */
export const BUILT = new URL('../dist/', import.meta.url);
