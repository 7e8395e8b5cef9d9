import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { api } from "../api/client"
import { collect } from "../api/lists"
import { type Assistant, type Changes, draftOf, paramsOf } from "./draft"

const ASSISTANTS = ["assistants"] as const
const LIST = [...ASSISTANTS, "list"] as const

export function useAssistants() {
  return useQuery({
    queryKey: LIST,
    queryFn: () => collect(api().beta.assistants.list({ limit: 100 })),
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

/** The names of models that the server lists. */
export function useModels() {
  return useQuery({
    queryKey: ["models"],
    queryFn: async () => (await api().models.list()).data.map((model) => model.id),
    staleTime: 60_000,
  })
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
      queries.setQueryData<Assistant[]>(LIST, (all) => all?.filter(({ id }) => id !== deleted))
      return queries.invalidateQueries({ queryKey: LIST })
    },
  })
}

/** Shows an assistant that the server has just answered with, in its place in the list or as the newest. */
function useKeepAssistant() {
  const queries = useQueryClient()
  return (assistant: Assistant) => {
    queries.setQueryData([...ASSISTANTS, assistant.id], assistant)
    queries.setQueryData<Assistant[]>(LIST, (all = []) =>
      all.some(({ id }) => id === assistant.id)
        ? all.map((other) => (other.id === assistant.id ? assistant : other))
        : [assistant, ...all],
    )
  }
}
