import { useState } from "react"
import { api } from "../api/client"
import { useRememberFile } from "../files/queries"
import { type StoredFile, uploadFile } from "../files/upload"
import { likelyUse, partsOf, type Use } from "./attachments"

export interface Draft {
  readonly id: number
  readonly file: File
  readonly use: Use
  readonly stored: StoredFile | null
  readonly error: unknown
}

let drafts = 0

/** The files that go with a message that is being written. They are sent to the server at once. */
export function useAttachments(tools: ReadonlySet<string>) {
  const [files, setFiles] = useState<readonly Draft[]>([])
  const remember = useRememberFile()

  function add(added: readonly File[]) {
    for (const file of added) {
      drafts += 1
      const draft: Draft = { id: drafts, file, use: likelyUse(file, tools), stored: null, error: null }
      setFiles((all) => [...all, draft])
      void send(draft)
    }
  }

  async function send({ id, file, use }: Draft) {
    patch(id, { use, stored: null, error: null })
    try {
      const stored = await upload(file, use)
      remember(stored)
      // While it was on its way it may have been given another use, which sends it under another purpose.
      setFiles((all) =>
        all.map((draft) => (draft.id === id && draft.use === use ? { ...draft, stored } : draft)),
      )
    } catch (error) {
      patch(id, { error })
    }
  }

  function change(draft: Draft, use: Use) {
    const isOtherPurpose = (draft.use === "image") !== (use === "image")
    if (isOtherPurpose) void send({ ...draft, use })
    else patch(draft.id, { use })
  }

  function patch(id: number, changes: Partial<Draft>) {
    setFiles((all) => all.map((draft) => (draft.id === id ? { ...draft, ...changes } : draft)))
  }

  return {
    files,
    add,
    change,
    retry: (draft: Draft) => void send(draft),
    remove: (id: number) => setFiles((all) => all.filter((draft) => draft.id !== id)),
    clear: () => setFiles([]),
    isReady: files.every(({ stored }) => stored !== null),
    parts: () => partsOf(files.flatMap(({ stored, use }) => (stored ? [{ fileId: stored.id, use }] : []))),
  }
}

export type Attachments = ReturnType<typeof useAttachments>

/** Files for tools are not given back by the API, pictures for the model are; so they differ in purpose. */
function upload(file: File, use: Use): Promise<StoredFile> {
  if (use === "image") return api().files.create({ file, purpose: "vision" })
  return uploadFile(file, { onProgress: () => {}, signal: new AbortController().signal })
}
