import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from "openai"
import { describe, expect, it } from "vitest"
import { faultOf, isWorthRetrying } from "./errors"

const answered = (status: number, message: string) =>
  faultOf(
    APIError.generate(
      status,
      { error: { message, param: "name" } },
      undefined,
      new Headers({ "x-request-id": "req_1" }),
    ),
  )

describe("what went wrong", () => {
  it.each([
    [400, "refused", false],
    [401, "key", false],
    [403, "forbidden", false],
    [404, "gone", false],
    [413, "tooLarge", false],
    [429, "busy", true],
    [500, "server", true],
    [503, "server", true],
    [504, "slow", true],
  ])("%i is %s", (status, kind, retry) => {
    const fault = answered(status, "No.")
    expect(fault.kind).toBe(kind)
    expect(isWorthRetrying(fault)).toBe(retry)
  })

  it("is told in the server's words, without the status before them", () => {
    expect(answered(400, "Invalid 'name'.")).toEqual({
      kind: "refused",
      reason: null,
      detail: "Invalid 'name'.",
      param: "name",
      requestId: "req_1",
    })
  })

  it("is the server's fault where a stream breaks off with an error", () => {
    const fault = faultOf(new APIError(undefined, { message: "The model is gone." }, undefined, undefined))
    expect(fault).toMatchObject({ kind: "server", detail: "The model is gone." })
  })

  it("knows the ways in which no answer comes", () => {
    expect(faultOf(new APIConnectionError({ message: "refused" })).kind).toBe("unreachable")
    expect(faultOf(new APIConnectionTimeoutError()).kind).toBe("slow")
    expect(faultOf(new APIUserAbortError()).kind).toBe("stopped")
    expect(faultOf(new TypeError("x is undefined"))).toMatchObject({
      kind: "unknown",
      detail: "x is undefined",
    })
  })
})
