import { useQuery } from "@tanstack/react-query"
import { useEffect, useState } from "react"
import { api } from "../api/client"

/** An address, valid in this page alone, under which the bytes of a file are shown. */
export function useBlobUrl(fileId: string): { url: string | null; error: unknown } {
  const { data, error } = useQuery({
    queryKey: ["file", fileId, "bytes"],
    queryFn: async () => (await api().files.content(fileId)).blob(),
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
