import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from "openai"
import { type Reason, reasonOf } from "./reasons"

/** What went wrong, in a form that any language can put into words. */
export interface Fault {
  kind: FaultKind
  /** What more is known of it than its kind. */
  reason: Reason | null
  /** The server's own words, where it gave any. They are English. */
  detail: string | null
  /** The parameter that the server objects to, as it names it. */
  param: string | null
  /** What to look for in the server's log. */
  requestId: string | null
}

export type FaultKind =
  | "unreachable"
  | "slow"
  | "stopped"
  | "key"
  | "forbidden"
  | "gone"
  | "refused"
  | "tooLarge"
  | "busy"
  | "server"
  | "unknown"

/** Whether doing the same again may help. */
export function isWorthRetrying(fault: Fault): boolean {
  return ["unreachable", "slow", "busy", "server", "unknown", "stopped"].includes(fault.kind)
}

export function faultOf(error: unknown): Fault {
  if (error instanceof APIUserAbortError) return plain("stopped")
  if (error instanceof APIConnectionTimeoutError) return plain("slow")
  if (error instanceof APIConnectionError) return plain("unreachable")
  if (error instanceof APIError) {
    return {
      kind: kindOfStatus(error.status),
      reason: reasonOf(error.code, wordsOf(error)),
      detail: wordsOf(error),
      param: error.param ?? null,
      requestId: error.requestID ?? null,
    }
  }
  return { ...plain("unknown"), detail: error instanceof Error ? error.message : String(error) }
}

function plain(kind: FaultKind): Fault {
  return { kind, reason: null, detail: null, param: null, requestId: null }
}

// A stream that fails in its middle has no status any more: its HTTP answer was 200.
function kindOfStatus(status: number | undefined): FaultKind {
  if (status === undefined) return "server"
  if (status === 401) return "key"
  if (status === 403) return "forbidden"
  if (status === 404 || status === 410) return "gone"
  if (status === 413) return "tooLarge"
  if (status === 429) return "busy"
  if (status === 408 || status === 504) return "slow"
  return status >= 500 ? "server" : "refused"
}

// The package puts the status before the message ("400 Invalid …"); the body has it without.
function wordsOf(error: APIError): string | null {
  const body = error.error as { message?: unknown } | undefined
  if (typeof body?.message === "string") return body.message
  return error.message || null
}
