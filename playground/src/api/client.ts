import OpenAI from "openai"
import { setRefused, storedKey } from "./key"

// A server without keys takes any, and the package insists on one.
const NO_KEY = "none"

let client: OpenAI | null = null

/** The one way to the server. It reads the key at each call, so a new one needs no new client. */
export function api(): OpenAI {
  client ??= new OpenAI({
    apiKey: async () => storedKey() ?? NO_KEY,
    baseURL: `${location.origin}/v1`,
    dangerouslyAllowBrowser: true,
    maxRetries: 1,
    fetch: fetchAndWatch,
  })
  return client
}

/** Every answer passes here, also those of streams, so a refused key is noticed wherever it happens. */
async function watch(...request: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...request)
  if (response.status === 401) setRefused(true)
  return response
}

// The package looks here for what a response is made by, before it sends a file. Not finding it, it would ask for the
// address `data:,`, which our content security policy refuses.
const fetchAndWatch = Object.assign(watch, { Response })
