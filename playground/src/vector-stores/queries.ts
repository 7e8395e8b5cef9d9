import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import type OpenAI from "openai"
import { api } from "../api/client"
import { useList } from "../api/lists"

export type VectorStore = OpenAI.VectorStore
export type StoreFile = OpenAI.VectorStores.VectorStoreFile

const STORES = ["vector-stores"] as const
const WATCH_MILLISECONDS = 1000

export function useVectorStores() {
  return useList<VectorStore>({
    key: [...STORES, "list"],
    read: (after) => api().vectorStores.list({ limit: 100, after }),
    watch: { isChanging: isReading, milliseconds: WATCH_MILLISECONDS },
  })
}

export function useVectorStore(id: string | null) {
  const queries = useQueryClient()
  return useQuery({
    queryKey: [...STORES, id],
    queryFn: async () => {
      const before = queries.getQueryData<VectorStore>([...STORES, id])
      const store = await api().vectorStores.retrieve(id ?? "")
      // Its files are read again when its counts have moved, which costs less than watching each.
      if (before && JSON.stringify(before.file_counts) !== JSON.stringify(store.file_counts)) {
        void queries.invalidateQueries({ queryKey: filesOf(store.id) })
      }
      return store
    },
    enabled: id !== null,
    refetchInterval: ({ state }) => (state.data && isReading(state.data) ? WATCH_MILLISECONDS : false),
  })
}

const filesOf = (storeId: string) => [...STORES, storeId, "files"] as const

export function useStoreFiles(storeId: string | null) {
  return useList<StoreFile>({
    key: filesOf(storeId ?? ""),
    read: (after) => api().vectorStores.files.list(storeId ?? "", { limit: 100, after }),
    isEnabled: storeId !== null,
  })
}

function isReading(store: VectorStore): boolean {
  return store.file_counts.in_progress > 0
}

export function useCreateStore() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (params: OpenAI.VectorStoreCreateParams) => api().vectorStores.create(params),
    onSuccess: (store) => {
      queries.setQueryData([...STORES, store.id], store)
      return queries.invalidateQueries({ queryKey: [...STORES, "list"] })
    },
  })
}

export function useModifyStore(id: string) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (params: OpenAI.VectorStoreUpdateParams) => api().vectorStores.update(id, params),
    onSuccess: (store) => {
      queries.setQueryData([...STORES, id], store)
      return queries.invalidateQueries({ queryKey: [...STORES, "list"] })
    },
  })
}

export function useDeleteStore() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api().vectorStores.delete(id),
    onSuccess: () => queries.invalidateQueries({ queryKey: [...STORES, "list"] }),
  })
}

export function useAttachFile() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: ({ storeId, fileId }: { storeId: string; fileId: string }) =>
      api().vectorStores.files.create(storeId, { file_id: fileId }),
    onSuccess: () => queries.invalidateQueries({ queryKey: STORES }),
  })
}

export function useDetachFile(storeId: string) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (fileId: string) => api().vectorStores.files.delete(fileId, { vector_store_id: storeId }),
    onSuccess: () => queries.invalidateQueries({ queryKey: STORES }),
  })
}

/** A piece of a file as it is searched. The server says where it stands in the file if it knows. */
export interface Passage {
  text: string
  index?: number
  page?: number | null
  heading?: string | null
}

export function usePassages(storeId: string, fileId: string) {
  return useQuery({
    queryKey: [...STORES, storeId, "passages", fileId],
    queryFn: async () => {
      const path = `/vector_stores/${storeId}/files/${fileId}/content`
      const { data } = await api().get<{ data: Passage[] }>(path, { query: { passages: true } })
      return data
    },
  })
}

export interface Question {
  query: string
  maxResults: number
  wordsPercent: number
}

export interface Hit {
  file_id: string
  filename: string
  score: number
  content: { type: "text"; text: string }[]
  /** Why it was found; servers before this one do not say. */
  explanation?: { keyword_score: number | null; vector_score: number | null; matched_words: string[] }
}

export async function search(storeId: string, { query, maxResults, wordsPercent }: Question): Promise<Hit[]> {
  const weights = { text_weight: wordsPercent / 100, embedding_weight: 1 - wordsPercent / 100 }
  const { data } = await api().post<{ data: Hit[] }>(`/vector_stores/${storeId}/search`, {
    query: { explain: true },
    body: { query, max_num_results: maxResults, ranking_options: { hybrid_search: weights } },
  })
  return data
}
