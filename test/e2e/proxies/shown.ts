import { blocksOf, pageAt } from '../../docs/pages.js';

/** The configuration of a proxy that docs/proxies.md shows. */
export function shownFor(name: string): string {
  const language = name === 'apache2' ? 'apache' : name;
  return blocksOf(pageAt('docs/proxies.md')).find((block) => block.language === language)!.text;
}
