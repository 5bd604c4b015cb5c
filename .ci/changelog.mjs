/*
 * Makes what is unreleased in CHANGELOG.md the section of a new version, as `npm version` runs it between the new number and the
 * commit (its script `version`). A version without anything to tell is refused.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = 'CHANGELOG.md';
const HEADING = '## [Unreleased]\n';

const version = process.env.npm_package_version;
const text = readFileSync(FILE, 'utf8');
const [before, after] = text.split(HEADING);
if (after === undefined) throw new Error(`${FILE} has no line "${HEADING.trim()}".`);
if (after.split(/^## /m)[0].trim() === '') throw new Error(`${FILE} says of ${version} nothing yet.`);
const day = new Date().toISOString().slice(0, 10);
writeFileSync(FILE, `${before}${HEADING}\n## [${version}] - ${day}\n${after}`);
