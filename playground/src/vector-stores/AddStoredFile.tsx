import { notifyFault } from "../app/notify"
import { StoredFileChoice } from "../files/StoredFileChoice"
import { useAttachFile, useStoreFiles, type VectorStore } from "./queries"

/** Takes a file into a store that was uploaded before. */
export function AddStoredFile({ store }: { store: VectorStore }) {
  const { data: attached = [] } = useStoreFiles(store.id)
  const attach = useAttachFile()
  return (
    <StoredFileChoice
      taken={attached.map(({ id }) => id)}
      onChoose={(fileId) => attach.mutate({ storeId: store.id, fileId }, { onError: notifyFault })}
      disabled={attach.isPending}
    />
  )
}
