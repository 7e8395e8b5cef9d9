import { APIError } from "openai"
import type { Run } from "../threads/objects"

/** Beyond OpenAI: a request that a run made to its model. */
export interface ModelRequest {
  readonly created_at: number
  readonly model: string
  readonly upstream: string | null
  readonly body: { readonly messages?: readonly unknown[]; readonly tools?: readonly unknown[] }
}

export function requestsPath({ thread_id, id }: Run): string {
  return `/threads/${encodeURIComponent(thread_id)}/runs/${encodeURIComponent(id)}/model_requests`
}

/** Whether a server, an older one or another's, knows nothing of such requests. */
export function isUnknownToServer(error: unknown): boolean {
  return error instanceof APIError && (error.status === 404 || error.status === 405)
}
