import type OpenAI from "openai"

export type Assistant = OpenAI.Beta.Assistant
export type Changes = OpenAI.Beta.AssistantUpdateParams
export type ReasoningEffort = NonNullable<Changes["reasoning_effort"]>
export type FunctionDefinition = OpenAI.FunctionDefinition
export type AnswerForm = "auto" | "text" | "json_object" | "json_schema"

/** An assistant as the editor holds it: what the API leaves out is filled in, and JSON is text while it is written. */
export interface Draft {
  name: string
  description: string
  instructions: string
  model: string
  /** How files are searched; null while the tool is off. */
  fileSearch: FileSearch | null
  vectorStoreId: string | null
  codeInterpreter: boolean
  codeFileIds: string[]
  functions: FunctionDefinition[]
  answerForm: AnswerForm
  /** The name, schema and strictness of answers in the form `json_schema`, as JSON. */
  answerSchema: string
  temperature: number
  topP: number
  reasoningEffort: ReasoningEffort | null
  metadata: [key: string, value: string][]
}

export interface FileSearch {
  /** 1 to 50; null leaves it to the server. */
  maxResults: number | null
  /** 0 to 1: passages that score less are left out. */
  scoreThreshold: number
  /** 0 to 100: how much words count beside meaning. */
  wordsPercent: number
}

export const DEFAULT_SEARCH: FileSearch = { maxResults: null, scoreThreshold: 0, wordsPercent: 50 }

export const LIMITS = {
  name: 256,
  description: 512,
  instructions: 256_000,
  codeFiles: 20,
  metadataPairs: 16,
  metadataKey: 64,
  metadataValue: 512,
} as const

const FIRST_SCHEMA = {
  name: "answer",
  strict: true,
  schema: {
    type: "object",
    properties: { summary: { type: "string" } },
    required: ["summary"],
    additionalProperties: false,
  },
}

// openai's types do not know the weights, which its API took.
type SearchTool = OpenAI.Beta.FileSearchTool & {
  file_search?: {
    ranking_options?: { hybrid_search?: { embedding_weight: number; text_weight: number } | null }
  }
}

export function draftOf(assistant: Assistant): Draft {
  const search = assistant.tools.find((tool) => tool.type === "file_search")
  const format = assistant.response_format
  const form = format && format !== "auto" ? format : null
  return {
    name: assistant.name ?? "",
    description: assistant.description ?? "",
    instructions: assistant.instructions ?? "",
    model: assistant.model,
    fileSearch: search ? searchOf(search) : null,
    vectorStoreId: assistant.tool_resources?.file_search?.vector_store_ids?.[0] ?? null,
    codeInterpreter: assistant.tools.some((tool) => tool.type === "code_interpreter"),
    codeFileIds: assistant.tool_resources?.code_interpreter?.file_ids ?? [],
    functions: assistant.tools.flatMap((tool) => (tool.type === "function" ? [tool.function] : [])),
    answerForm: form?.type ?? "auto",
    answerSchema: JSON.stringify(form?.type === "json_schema" ? form.json_schema : FIRST_SCHEMA, null, 2),
    temperature: assistant.temperature ?? 1,
    topP: assistant.top_p ?? 1,
    reasoningEffort: effortOf(assistant),
    metadata: Object.entries(assistant.metadata ?? {}),
  }
}

// Recorded answers have it, openai's type of an assistant does not.
function effortOf(
  assistant: Assistant & { reasoning_effort?: ReasoningEffort | null },
): ReasoningEffort | null {
  return assistant.reasoning_effort ?? null
}

function searchOf(tool: SearchTool): FileSearch {
  const ranking = tool.file_search?.ranking_options
  const weights = ranking?.hybrid_search
  return {
    maxResults: tool.file_search?.max_num_results ?? null,
    scoreThreshold: ranking?.score_threshold ?? 0,
    wordsPercent: weights
      ? Math.round((100 * weights.text_weight) / (weights.text_weight + weights.embedding_weight))
      : DEFAULT_SEARCH.wordsPercent,
  }
}

/** The whole draft as the API takes it. Only for drafts without problems. */
export function paramsOf(draft: Draft): Changes & { model: string } {
  return {
    name: draft.name || null,
    description: draft.description || null,
    instructions: draft.instructions || null,
    model: draft.model,
    tools: [
      ...(draft.codeInterpreter ? [{ type: "code_interpreter" as const }] : []),
      ...(draft.fileSearch ? [searchTool(draft.fileSearch)] : []),
      ...draft.functions.map((definition) => ({ type: "function" as const, function: definition })),
    ],
    // Files stay with an assistant whose tool is switched off, so that switching it on again finds them.
    tool_resources: {
      ...(draft.codeInterpreter || draft.codeFileIds.length > 0
        ? { code_interpreter: { file_ids: draft.codeFileIds } }
        : {}),
      ...(draft.fileSearch || draft.vectorStoreId
        ? { file_search: { vector_store_ids: draft.vectorStoreId ? [draft.vectorStoreId] : [] } }
        : {}),
    },
    response_format: answerFormat(draft),
    temperature: draft.temperature,
    top_p: draft.topP,
    reasoning_effort: draft.reasoningEffort,
    metadata: Object.fromEntries(draft.metadata.filter(isBegun)),
  }
}

function searchTool({ maxResults, scoreThreshold, wordsPercent }: FileSearch): SearchTool {
  const weights = { text_weight: wordsPercent / 100, embedding_weight: 1 - wordsPercent / 100 }
  const ranking = {
    score_threshold: scoreThreshold,
    ...(wordsPercent === DEFAULT_SEARCH.wordsPercent ? {} : { hybrid_search: weights }),
  }
  return {
    type: "file_search",
    file_search: {
      ...(maxResults === null ? {} : { max_num_results: maxResults }),
      ranking_options: ranking,
    },
  }
}

function answerFormat(draft: Draft): Changes["response_format"] {
  switch (draft.answerForm) {
    case "auto":
      return "auto"
    case "text":
    case "json_object":
      return { type: draft.answerForm }
    case "json_schema":
      return { type: "json_schema", json_schema: JSON.parse(draft.answerSchema) }
  }
}

/** What differs between two drafts, so that saving one field does not undo what another program did to the rest. */
export function changesBetween(saved: Draft, draft: Draft): Changes {
  const before = paramsOf(saved)
  const changed = Object.entries(paramsOf(draft)).filter(
    ([field, value]) => JSON.stringify(value) !== JSON.stringify(before[field as keyof Changes]),
  )
  return Object.fromEntries(changed)
}

export type Problem =
  | { field: "name" | "description" | "instructions"; kind: "tooLong"; limit: number; length: number }
  | { field: "model"; kind: "noModel" }
  | { field: "answerSchema"; kind: "badJson" | "schemaUnnamed" }
  | { field: "functions"; kind: "sameFunction"; name: string }
  | { field: "metadata"; kind: "noKey" | "tooManyPairs" }
  | { field: "metadata"; kind: "sameKey" | "longKey" | "longValue"; name: string }

/** Why the draft can't be saved yet; empty if it can. */
export function problemsOf(draft: Draft): Problem[] {
  return [
    ...textProblems(draft),
    ...(draft.model.trim() === "" ? [{ field: "model", kind: "noModel" } as const] : []),
    ...(draft.answerForm === "json_schema" ? schemaProblems(draft.answerSchema) : []),
    ...functionProblems(draft.functions),
    ...metadataProblems(draft.metadata),
  ]
}

function textProblems(draft: Draft): Problem[] {
  return (["name", "description", "instructions"] as const).flatMap((field) => {
    // The API counts characters, not halves of them, as JavaScript does.
    const length = draft[field].length <= LIMITS[field] ? 0 : [...draft[field]].length
    return length > LIMITS[field] ? [{ field, kind: "tooLong" as const, limit: LIMITS[field], length }] : []
  })
}

function schemaProblems(text: string): Problem[] {
  try {
    const format: unknown = JSON.parse(text)
    const isNamed = typeof format === "object" && format !== null && "name" in format && "schema" in format
    return isNamed ? [] : [{ field: "answerSchema", kind: "schemaUnnamed" }]
  } catch {
    return [{ field: "answerSchema", kind: "badJson" }]
  }
}

// Each function by itself was checked where it was written.
function functionProblems(functions: FunctionDefinition[]): Problem[] {
  const names = functions.map(({ name }) => name)
  const twice = new Set(names.filter((name, index) => names.indexOf(name) !== index))
  return [...twice].map((name) => ({ field: "functions", kind: "sameFunction", name }))
}

// A pair that was just added is empty, and nothing that anyone would want to keep.
function isBegun([key, value]: [string, string]): boolean {
  return key !== "" || value !== ""
}

function metadataProblems(pairs: Draft["metadata"]): Problem[] {
  const problems: Problem[] = []
  if (pairs.length > LIMITS.metadataPairs) problems.push({ field: "metadata", kind: "tooManyPairs" })
  const seen = new Set<string>()
  for (const [key, value] of pairs.filter(isBegun)) {
    if (key === "") problems.push({ field: "metadata", kind: "noKey" })
    else if (seen.has(key)) problems.push({ field: "metadata", kind: "sameKey", name: key })
    else if ([...key].length > LIMITS.metadataKey)
      problems.push({ field: "metadata", kind: "longKey", name: key })
    else if ([...value].length > LIMITS.metadataValue)
      problems.push({ field: "metadata", kind: "longValue", name: key })
    seen.add(key)
  }
  return problems
}
