import type OpenAI from "openai"
import { BadRequestError } from "openai"
import type { Stream } from "openai/streaming"
import { api } from "../api/client"
import type { Attachment, Message, Run, RunStep, StreamEvent } from "./objects"
import type { Transcript } from "./transcript"

type Include = OpenAI.Beta.Threads.Runs.RunStepInclude

const RESULTS: Include = "step_details.tool_calls[*].file_search.results[*].content"
/** Beyond OpenAI: keeps the requests that the run makes to its model, for the inspector. */
const MODEL_REQUESTS = "model_requests" as Include

/** Whether this server has said that it knows no such extension. */
let keepsModelRequests = true

const MESSAGES_A_PAGE = 50
const RUNS_A_PAGE = 30
/** The longest list that the API gives at once; longer runs are shown without the rest of their calls. */
const STEPS_OF_A_RUN = 100

export interface Page {
  readonly transcript: Transcript
  readonly hasEarlier: boolean
}

/** The newest part of a thread, or what comes before what is known of it. */
export async function fetchTranscript(thread: string, known: Transcript, signal: AbortSignal): Promise<Page> {
  const page = { order: "desc" } as const
  const { threads } = api().beta
  const [messages, runs] = await Promise.all([
    threads.messages.list(
      thread,
      { ...page, limit: MESSAGES_A_PAGE, after: known.messages[0]?.id },
      { signal },
    ),
    threads.runs.list(thread, { ...page, limit: RUNS_A_PAGE, after: known.runs[0]?.id }, { signal }),
  ])
  const steps = await Promise.all(runs.data.map((run) => fetchSteps(run, signal)))
  const transcript = {
    messages: messages.data.toReversed(),
    runs: runs.data.toReversed(),
    steps: steps.toReversed().flat(),
  }
  return { transcript, hasEarlier: messages.hasNextPage() || runs.hasNextPage() }
}

async function fetchSteps(run: Run, signal: AbortSignal): Promise<RunStep[]> {
  const page = await api().beta.threads.runs.steps.list(
    run.id,
    { thread_id: run.thread_id, order: "asc", limit: STEPS_OF_A_RUN, include: [RESULTS] },
    { signal },
  )
  return page.data
}

export interface NewMessage {
  readonly text: string
  readonly images: readonly string[]
  readonly attachments: readonly Attachment[]
}

export function createMessage(thread: string, { text, images, attachments }: NewMessage): Promise<Message> {
  const pictures = images.map((file_id) => ({ type: "image_file", image_file: { file_id } }) as const)
  const words = text === "" ? [] : [{ type: "text", text } as const]
  return api().beta.threads.messages.create(thread, {
    role: "user",
    content: pictures.length === 0 ? text : [...words, ...pictures],
    attachments: attachments.length === 0 ? undefined : [...attachments],
  })
}

export type Events = AsyncIterable<StreamEvent>

/** Starts a run, and tells what happens in it. */
export function startRun(thread: string, assistant: string, signal: AbortSignal): Promise<Events> {
  const start = (include: Include[]) =>
    api().beta.threads.runs.create(thread, { assistant_id: assistant, stream: true, include }, { signal })
  return withModelRequests(start)
}

async function withModelRequests(start: (include: Include[]) => Promise<Events>): Promise<Events> {
  if (keepsModelRequests) {
    try {
      return await start([RESULTS, MODEL_REQUESTS])
    } catch (error) {
      const objects = error instanceof BadRequestError && error.param?.startsWith("include")
      if (!objects) throw error
      keepsModelRequests = false
    }
  }
  return start([RESULTS])
}

export interface ToolOutput {
  readonly tool_call_id: string
  readonly output: string
}

export function submitOutputs(
  run: Run,
  outputs: readonly ToolOutput[],
  signal: AbortSignal,
): Promise<Events> {
  return api().beta.threads.runs.submitToolOutputs(
    run.id,
    { thread_id: run.thread_id, tool_outputs: [...outputs], stream: true },
    { signal, query: { include: [RESULTS] } },
  )
}

/** Beyond OpenAI: the events of a run that is at work already, from its beginning. */
export function followRun(run: Run, signal: AbortSignal): Promise<Events> {
  const path = `/threads/${encodeURIComponent(run.thread_id)}/runs/${encodeURIComponent(run.id)}/stream`
  return api().get<Stream<StreamEvent>>(path, {
    stream: true,
    query: { include: [RESULTS] },
    signal,
  })
}

export function cancelRun(run: Run): Promise<Run> {
  return api().beta.threads.runs.cancel(run.id, { thread_id: run.thread_id })
}

export async function deleteMessage(message: Message): Promise<void> {
  await api().beta.threads.messages.delete(message.id, { thread_id: message.thread_id })
}

export function setRunMetadata(run: Run, metadata: Record<string, string>): Promise<Run> {
  return api().beta.threads.runs.update(run.id, { thread_id: run.thread_id, metadata })
}
