/** What is known of a fault beyond its kind. The message files say each in words, under `errors.reason`. */
export type Reason =
  | "modelMissing"
  | "modelKey"
  | "modelAddress"
  | "modelBusy"
  | "modelQuota"
  | "modelUnreachable"
  | "modelSilent"
  | "modelCutOff"
  | "context"
  | "runActive"
  | "fileTooLarge"
  | "requestTooLarge"
  | "fileUnsupported"
  | "fileInvalid"
  | "storeExpired"
  | "overloaded"
  | "tooLong"
  | "foreignOrigin"

const BY_CODE: Readonly<Record<string, Reason>> = {
  model_not_found: "modelMissing",
  context_length_exceeded: "context",
  insufficient_quota: "modelQuota",
  file_too_large: "fileTooLarge",
  upload_too_large: "fileTooLarge",
  request_too_large: "requestTooLarge",
  unsupported_file: "fileUnsupported",
  invalid_file: "fileInvalid",
  server_overloaded: "overloaded",
  string_above_max_length: "tooLong",
  foreign_origin: "foreignOrigin",
}

// Codes are few, and say of a model's server hardly more than that it failed. Its own words are within ours, so what it
// says itself, of a context for instance, is looked for first.
const BY_WORDS: readonly (readonly [RegExp, Reason])[] = [
  [/context[ _](length|window|size)|maximum context|longer than the model can read/i, "context"],
  [/answered with status 40[13]\b/, "modelKey"],
  [/answered with status 404\b/, "modelAddress"],
  [/answered with status 429\b.*quota/i, "modelQuota"],
  [/answered with status 429\b/, "modelBusy"],
  [/model's server .* could not be reached/, "modelUnreachable"],
  [/model's server .* did not respond for/, "modelSilent"],
  [/model's server .* broke off its answer/, "modelCutOff"],
  [/already has an active run|while a run .* is active/, "runActive"],
  [/^Vector store .* has expired/, "storeExpired"],
]

/** The reason that a code or, failing that, the server's English words give. */
export function reasonOf(code: string | null | undefined, words: string | null | undefined): Reason | null {
  const coded = BY_CODE[code ?? ""]
  if (coded) return coded
  return BY_WORDS.find(([pattern]) => pattern.test(words ?? ""))?.[1] ?? null
}
