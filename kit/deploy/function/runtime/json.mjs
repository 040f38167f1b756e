// JSON around texts that are JSON already and must stay as they are.

/** A text of JSON, to be put into a larger one. */
export class Raw {
  constructor(text) {
    this.text = text;
  }
}

/** As JSON.stringify, but `Raw` texts go in as they are. */
export function toJson(value) {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map((each) => toJson(each ?? null)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const given = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${given.map(([name, each]) => `${JSON.stringify(name)}:${toJson(each)}`).join(",")}}`;
}
