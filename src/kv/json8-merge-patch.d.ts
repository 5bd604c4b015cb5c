declare module 'json8-merge-patch/lib/apply.js' {
  /** RFC 7396. `pollute` allows members named `__proto__`, which is safe on objects without a prototype. */
  export default function apply(document: unknown, patch: unknown, options?: { pollute?: boolean }): unknown;
}
