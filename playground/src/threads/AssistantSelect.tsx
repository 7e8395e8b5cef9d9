import { Select } from "@mantine/core"
import { useTranslation } from "react-i18next"
import type { Assistant } from "../assistants/draft"
import classes from "./AssistantSelect.module.css"

interface Props {
  assistants: readonly Assistant[]
  chosen: string | null
  onChoose: (id: string) => void
}

/** Who answers. */
export function AssistantSelect({ assistants, chosen, onChoose }: Props) {
  const { t } = useTranslation("threads")
  const options = assistants.map(({ id, name }) => ({ value: id, label: name || t("head.unnamed") }))
  const isKnown = chosen === null || assistants.some(({ id }) => id === chosen)
  return (
    <Select
      aria-label={t("head.assistant")}
      data={isKnown ? options : [...options, { value: chosen, label: t("head.unknownAssistant") }]}
      value={chosen}
      onChange={(id) => id !== null && onChoose(id)}
      allowDeselect={false}
      searchable={options.length > 8}
      size="xs"
      className={classes.select ?? ""}
      comboboxProps={{ width: 260, position: "bottom-start" }}
    />
  )
}
