import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { api } from "../api/client"
import { putIn, takeOut, useList } from "../api/lists"
import { type Assistant, type Changes, draftOf, paramsOf } from "./draft"

const ASSISTANTS = ["assistants"] as const
const LIST = [...ASSISTANTS, "list"] as const

export function useAssistants() {
  return useList<Assistant>({
    key: LIST,
    read: (after) => api().beta.assistants.list({ limit: 100, after }),
  })
}

/** An assistant as it is now: an editor that began with an old one would show what is gone. */
export function useFreshAssistant(id: string) {
  return useQuery({
    queryKey: [...ASSISTANTS, id],
    queryFn: () => api().beta.assistants.retrieve(id),
    refetchOnMount: "always",
    refetchOnWindowFocus: false,
  })
}

/** A model that the server lists. Servers before this one do not say what it is for. */
export interface ListedModel {
  id: string
  use?: "chat" | "embeddings"
}

export function useModels() {
  return useQuery({
    queryKey: ["models"],
    queryFn: async () => {
      const { data } = await api().get<{ data: ListedModel[] }>("/models", { query: { uses: true } })
      return data
    },
    staleTime: 60_000,
  })
}

/** The names of models that can answer, as far as the server knows. */
export function answering(models: readonly ListedModel[]): string[] {
  return [...new Set(models.filter(({ use }) => use !== "embeddings").map(({ id }) => id))]
}

export function useCreateAssistant() {
  const keep = useKeepAssistant()
  return useMutation({
    mutationFn: (params: Changes & { model: string }) => api().beta.assistants.create(params),
    onSuccess: keep,
  })
}

export function useCopyAssistant() {
  const keep = useKeepAssistant()
  return useMutation({
    mutationFn: async ({ id, name }: { id: string; name: string }) => {
      const original = await api().beta.assistants.retrieve(id)
      return api().beta.assistants.create({ ...paramsOf(draftOf(original)), name })
    },
    onSuccess: keep,
  })
}

export function useSaveAssistant(id: string) {
  const keep = useKeepAssistant()
  return async (changes: Changes) => keep(await api().beta.assistants.update(id, changes))
}

export function useDeleteAssistant() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api().beta.assistants.delete(id),
    onSuccess: (_, deleted) => {
      takeOut<Assistant>(queries, LIST, deleted)
      return queries.invalidateQueries({ queryKey: LIST })
    },
  })
}

/** Shows an assistant that the server has just answered with, in its place in the list or as the newest. */
function useKeepAssistant() {
  const queries = useQueryClient()
  return (assistant: Assistant) => {
    queries.setQueryData([...ASSISTANTS, assistant.id], assistant)
    putIn(queries, LIST, assistant)
  }
}
