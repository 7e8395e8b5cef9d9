import { useLocalStorage } from "@mantine/hooks"
import { useMemo, useState } from "react"
import { useAssistants } from "../assistants/queries"

/** Who answers in a thread: whom the user chose, else `usual`, else whom they chose last anywhere. */
export function useAssistantChoice(usual: string | null) {
  const { data: assistants, error, refetch } = useAssistants()
  const [last, setLast] = useLocalStorage<string | null>({
    key: "adjutant.assistant",
    defaultValue: null,
    getInitialValueInEffect: false,
  })
  const [chosen, setChosen] = useState<string | null>(null)
  const known = (id: string | null) => assistants?.find((assistant) => assistant.id === id)
  const assistant = known(chosen) ?? known(usual) ?? known(last) ?? assistants?.[0] ?? null
  const tools = useMemo(() => new Set<string>(assistant?.tools.map(({ type }) => type)), [assistant])

  function choose(id: string) {
    setChosen(id)
    setLast(id)
  }

  return { assistants, assistant, tools, choose, error, refetch }
}

export type AssistantChoice = ReturnType<typeof useAssistantChoice>
