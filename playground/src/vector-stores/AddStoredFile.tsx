import { Select } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { notifyFault } from "../app/notify"
import { useFiles } from "../files/queries"
import { useAttachFile, useStoreFiles, type VectorStore } from "./queries"

/** Takes a file into a store that was uploaded before. */
export function AddStoredFile({ store }: { store: VectorStore }) {
  const { t } = useTranslation("files")
  const { data: files = [] } = useFiles()
  const { data: attached = [] } = useStoreFiles(store)
  const attach = useAttachFile()
  const here = new Set(attached.map(({ id }) => id))
  const others = files.filter((file) => file.purpose === "assistants" && !here.has(file.id))
  if (others.length === 0) return null
  return (
    <Select
      label={t("stores.addStored.label")}
      placeholder={t("stores.addStored.choose")}
      data={others.map((file) => ({ value: file.id, label: file.filename }))}
      // The choice is an act, not a state: the file goes up into the list, and the field is free again.
      value={null}
      onChange={(fileId) => fileId && attach.mutate({ storeId: store.id, fileId }, { onError: notifyFault })}
      disabled={attach.isPending}
      searchable
      limit={100}
    />
  )
}
