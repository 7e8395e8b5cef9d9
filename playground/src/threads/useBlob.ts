import { useQuery } from "@tanstack/react-query"
import { useEffect, useState } from "react"
import { api } from "../api/client"

/** An address, valid in this page alone, under which the bytes of a file are shown. */
export function useBlobUrl(fileId: string): { url: string | null; error: unknown } {
  const { data, error } = useQuery({
    queryKey: ["file", fileId, "bytes"],
    queryFn: async () => typed(await (await api().files.content(fileId)).blob()),
    staleTime: Number.POSITIVE_INFINITY,
  })
  const [url, setUrl] = useState<string | null>(null)
  useEffect(() => {
    if (!data) return
    const made = URL.createObjectURL(data)
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [data])
  return { url, error }
}

/** How pictures begin that browsers show. */
const PICTURES: readonly (readonly [string, string])[] = [
  ["\x89PNG", "image/png"],
  ["\xFF\xD8\xFF", "image/jpeg"],
  ["GIF8", "image/gif"],
  ["RIFF", "image/webp"],
]

/** The server calls every file plain bytes, which a browser would save rather than show in a tab of its own. */
async function typed(blob: Blob): Promise<Blob> {
  const start = String.fromCharCode(...new Uint8Array(await blob.slice(0, 4).arrayBuffer()))
  const type = PICTURES.find(([begin]) => start.startsWith(begin))?.[1]
  return type ? blob.slice(0, blob.size, type) : blob
}
