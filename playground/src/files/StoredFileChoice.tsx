import { Select } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { useFiles } from "./queries"

interface Props {
  /** Files that are there already, and are not offered. */
  taken: string[]
  onChoose: (fileId: string) => void
  disabled?: boolean
}

/** Takes a file that was uploaded before. */
export function StoredFileChoice({ taken, onChoose, disabled = false }: Props) {
  const { t } = useTranslation("files")
  const { data: files = [] } = useFiles()
  const others = files.filter((file) => file.purpose === "assistants" && !taken.includes(file.id))
  if (others.length === 0) return null
  return (
    <Select
      label={t("stored.label")}
      placeholder={t("stored.choose")}
      data={others.map((file) => ({ value: file.id, label: file.filename }))}
      // The choice is an act, not a state: the file goes up into the list, and the field is free again.
      value={null}
      onChange={(fileId) => fileId && onChoose(fileId)}
      disabled={disabled}
      searchable
      limit={100}
    />
  )
}
