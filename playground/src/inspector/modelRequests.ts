import { APIError } from "openai"
import type { Run } from "../threads/objects"

/** Beyond OpenAI: a request that a run made to its model. */
export interface ModelRequest {
  readonly created_at: number
  readonly model: string
  readonly upstream: string | null
  readonly body: { readonly messages?: readonly ChatMessage[]; readonly tools?: readonly unknown[] }
}

/** A message as models' servers take it. */
export interface ChatMessage {
  readonly role: string
  readonly content?: string | readonly ChatPart[] | null
  readonly tool_calls?: readonly {
    readonly id: string
    readonly function: { readonly name: string; readonly arguments: string }
  }[]
  readonly tool_call_id?: string
}

type ChatPart = {
  readonly type: string
  readonly text?: string
  readonly image_url?: { readonly url: string }
}

/** What a message says; pictures by their addresses. */
export function textOfChat({ content }: ChatMessage): string {
  if (!content) return ""
  if (typeof content === "string") return content
  return content.map(({ type, text, image_url }) => text ?? image_url?.url ?? type).join("\n")
}

export function requestsPath({ thread_id, id }: Run): string {
  return `/threads/${encodeURIComponent(thread_id)}/runs/${encodeURIComponent(id)}/model_requests`
}

/** Whether a server, an older one or another's, knows nothing of such requests. */
export function isUnknownToServer(error: unknown): boolean {
  return error instanceof APIError && (error.status === 404 || error.status === 405)
}
