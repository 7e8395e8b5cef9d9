import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useMemo } from "react"
import { api } from "../api/client"
import { putIn, useList } from "../api/lists"
import type { StoredFile } from "./upload"

const FILES = ["files"] as const

// The API gives up to this many at once, with no way to see fewer fields.
const MOST = 10_000

/** All files, the newest first. */
export function useFiles() {
  return useList<StoredFile>({
    key: FILES,
    read: (after) => api().files.list({ limit: MOST, order: "desc", after }),
  })
}

/** A file, and whether the server gives its bytes back; servers before this one do not say. */
export type ShownFile = StoredFile & { downloadable?: boolean }

/** One file by itself: a list may not reach as far as it, or may have been read before it was made. */
export function useFile(id: string | null) {
  return useQuery({
    queryKey: ["file", id],
    queryFn: () =>
      api().get<ShownFile>(`/files/${encodeURIComponent(id ?? "")}`, { query: { downloadable: true } }),
    staleTime: 60_000,
    enabled: id !== null,
  })
}

/** Files by their ids; other objects name files by id alone. */
export function useFilesById(): Map<string, StoredFile> {
  const { data } = useFiles()
  return useMemo(() => new Map(data?.map((file) => [file.id, file])), [data])
}

/** Adds a file that has just arrived to what is shown, before the list is read again. */
export function useRememberFile() {
  const queries = useQueryClient()
  return (file: StoredFile) => {
    putIn(queries, FILES, file)
    void queries.invalidateQueries({ queryKey: FILES })
  }
}

export function useDeleteFile() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api().files.delete(id),
    // Deleting a file takes it out of every store and assistant too. The file itself is asked for no more.
    onSuccess: (_, id) =>
      queries.invalidateQueries({ predicate: ({ queryKey: [kind, of] }) => kind !== "file" || of !== id }),
  })
}

/** The bytes of a file that the server gives back: what code made, and images of messages. */
export async function download(file: StoredFile): Promise<void> {
  const response = await api().files.content(file.id)
  const url = URL.createObjectURL(await response.blob())
  const link = document.createElement("a")
  link.href = url
  link.download = file.filename.split("/").at(-1) ?? file.filename
  link.click()
  URL.revokeObjectURL(url)
}
