import type { Attachment } from "./objects"

/** What an attached file is for. */
export type Use = "image" | "file_search" | "code_interpreter"

// What a model can be shown; other pictures are for programs.
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"])
const TEXTS =
  /\.(c|cpp|cs|css|docx?|epub|go|hwpx?|html?|java|js|json|md|pdf|php|pptx?|py|rb|rtf|sh|tex|ts|txt)$/i
const TABLES = /\.(csv|tsv|xlsx?|xml|zip|tar|gz|parquet|sqlite|db|pkl|npy)$/i

/** The use that is meant, most likely, when a file is dropped on an assistant with these tools. */
export function likelyUse(file: File, tools: ReadonlySet<string>): Use {
  if (PICTURES.has(file.type)) return "image"
  const first: Use = TABLES.test(file.name) || !TEXTS.test(file.name) ? "code_interpreter" : "file_search"
  const second: Use = first === "file_search" ? "code_interpreter" : "file_search"
  // A tool that reads it at all is better than a better one that this assistant does not have.
  const canSwap = tools.has(second) && !(second === "file_search" && file.type.startsWith("image/"))
  return !tools.has(first) && canSwap ? second : first
}

/** The uses that a file can be put to. */
export function usesOf(file: File): Use[] {
  return PICTURES.has(file.type) ? ["image", "code_interpreter"] : ["file_search", "code_interpreter"]
}

export interface Stored {
  readonly fileId: string
  readonly use: Use
}

/** Files as a message names them. */
export function partsOf(files: readonly Stored[]): { images: string[]; attachments: Attachment[] } {
  const images = files.filter(({ use }) => use === "image").map(({ fileId }) => fileId)
  const attachments = files.flatMap(({ use, fileId }): Attachment[] =>
    use === "image" ? [] : [{ file_id: fileId, tools: [{ type: use }] }],
  )
  return { images, attachments }
}
