import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useMemo } from "react"
import { api } from "../api/client"
import type { StoredFile } from "./upload"

const FILES = ["files"] as const

// The API gives up to this many at once, with no way to see fewer fields.
const MOST = 10_000

/** All files, the newest first. */
export function useFiles() {
  return useQuery({
    queryKey: FILES,
    queryFn: async () => (await api().files.list({ limit: MOST, order: "desc" })).data,
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
    queries.setQueryData<StoredFile[]>(FILES, (files) => [
      file,
      ...(files ?? []).filter(({ id }) => id !== file.id),
    ])
    void queries.invalidateQueries({ queryKey: FILES })
  }
}

export function useDeleteFile() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api().files.delete(id),
    // Deleting a file takes it out of every store and assistant too.
    onSuccess: () => queries.invalidateQueries(),
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
