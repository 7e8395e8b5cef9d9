import type OpenAI from "openai"
import { api } from "../api/client"

export type StoredFile = OpenAI.FileObject

// A browser does not say how far the body of a request has gone, so files that take a while are sent in parts, and
// each part that arrived is progress. The server puts them together.
const PART_BYTES = 4 * 1024 * 1024

interface Watching {
  /** Called with what has arrived of the file, from 0 to 1. */
  onProgress: (part: number) => void
  signal: AbortSignal
}

/** Sends a file for the tools of assistants. */
export async function uploadFile(file: File, watching: Watching): Promise<StoredFile> {
  if (file.size > PART_BYTES) return uploadInParts(file, watching)
  return api().files.create({ file, purpose: "assistants" }, { signal: watching.signal })
}

async function uploadInParts(file: File, { onProgress, signal }: Watching): Promise<StoredFile> {
  const uploads = api().uploads
  const upload = await uploads.create(
    {
      filename: file.name,
      bytes: file.size,
      mime_type: file.type || "application/octet-stream",
      purpose: "assistants",
    },
    { signal },
  )
  try {
    const parts: string[] = []
    for (let start = 0; start < file.size; start += PART_BYTES) {
      const data = new File([file.slice(start, start + PART_BYTES)], file.name)
      const part = await uploads.parts.create(upload.id, { data }, { signal })
      parts.push(part.id)
      onProgress(Math.min(1, (start + PART_BYTES) / file.size))
    }
    const completed = await uploads.complete(upload.id, { part_ids: parts }, { signal })
    if (!completed.file) throw new Error(`The upload ${upload.id} was completed without a file.`)
    return completed.file
  } catch (error) {
    // What is half here expires by itself within the hour, should this fail too.
    uploads.cancel(upload.id).catch(() => {})
    throw error
  }
}
