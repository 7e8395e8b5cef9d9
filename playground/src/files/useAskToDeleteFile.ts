import { useTranslation } from "react-i18next"
import { confirmDeletion } from "../app/confirm"
import { useDeleteFile } from "./queries"
import type { StoredFile } from "./upload"

export function useAskToDeleteFile(): (file: StoredFile, onDeleted?: () => void) => void {
  const { t } = useTranslation("files")
  const deletion = useDeleteFile()
  return (file, onDeleted) =>
    confirmDeletion({
      title: t("delete.title", { name: file.filename }),
      text: t("delete.text"),
      onConfirm: async () => {
        await deletion.mutateAsync(file.id)
        onDeleted?.()
      },
    })
}
