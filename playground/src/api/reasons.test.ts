import { describe, expect, it } from "vitest"
import { reasonOf } from "./reasons"

describe("the reason of a fault", () => {
  it.each([
    ["model_not_found", "The model 'x' does not exist", "modelMissing"],
    ["file_too_large", "Invalid 'file': file too large. Expected at most 5 bytes.", "fileTooLarge"],
    ["unsupported_file", "The file type is not supported.", "fileUnsupported"],
    [null, "Thread thread_a already has an active run run_b.", "runActive"],
    [null, "Can't add messages to thread_a while a run run_b is active.", "runActive"],
    [null, "Vector store vs_a has expired.", "storeExpired"],
  ])("is known by its code, or the server's words: %s, %s", (code, words, reason) => {
    expect(reasonOf(code, words)).toBe(reason)
  })

  it.each([
    [
      "The model's server `a` answered with status 401: no. Check the key that Adjutant has for it.",
      "modelKey",
    ],
    ["The model's server `a` answered with status 404: no.", "modelAddress"],
    ["The model's server `a` answered with status 429: slow down.", "modelBusy"],
    ["The model's server `a` answered with status 429: You exceeded your current quota.", "modelQuota"],
    ["The model's server `a` could not be reached: refused. Is it running?", "modelUnreachable"],
    ["The model's server `a` did not respond for 60 seconds.", "modelSilent"],
    ["The model's server `a` broke off its answer before the end.", "modelCutOff"],
    ["The model's server `a` answered with status 400: maximum context length is 4096 tokens.", "context"],
    [
      "The newest message and the instructions are longer than the model can read: 9 tokens at once.",
      "context",
    ],
  ])("of a run is in its words: %s", (words, reason) => {
    expect(reasonOf("server_error", words)).toBe(reason)
  })

  it("is not made up", () => {
    expect(reasonOf("server_error", "The model's server `a` answered with status 500: no.")).toBeNull()
    expect(reasonOf(null, null)).toBeNull()
  })
})
