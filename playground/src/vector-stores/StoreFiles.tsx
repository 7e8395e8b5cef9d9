import { Loader, Stack, Text } from "@mantine/core"
import { useState } from "react"
import { useTranslation } from "react-i18next"
import { FaultNotice } from "../app/FaultNotice"
import { MoreOf } from "../app/MoreButton"
import { DropArea } from "../files/DropArea"
import { useRememberFile } from "../files/queries"
import { UploadList } from "../files/UploadList"
import { useUploads } from "../files/useUploads"
import { PassagesDrawer } from "./PassagesDrawer"
import { useAttachFile, useStoreFiles, useVectorStore } from "./queries"
import { StoreFileRow } from "./StoreFileRow"
import classes from "./StoreFiles.module.css"

interface Props {
  storeId: string | null
  /** The store that a dropped file goes to; makes it where there is none yet. */
  ensureStore: () => Promise<string>
  hint: string
}

/** The files of a vector store: how far each is read, and a place to drop more. */
export function StoreFiles({ storeId, ensureStore, hint }: Props) {
  const { t } = useTranslation("files")
  const store = useVectorStore(storeId)
  const files = useStoreFiles(storeId)
  const attach = useAttachFile()
  const remember = useRememberFile()
  const [opened, setOpened] = useState<string | null>(null)
  const { uploads, add, stop, retry } = useUploads(async (file) => {
    remember(file)
    await attach.mutateAsync({ storeId: await ensureStore(), fileId: file.id })
  })
  const error = store.error ?? files.error
  const isListed = (fileId: string | null) => files.data?.some(({ id }) => id === fileId) ?? false

  return (
    <Stack gap="sm">
      {error ? (
        <FaultNotice error={error} onRetry={() => void (store.error ? store.refetch() : files.refetch())} />
      ) : null}
      <DropArea onFiles={add} hint={hint}>
        {storeId && files.isLoading && !error && <Loader size="sm" aria-label={t("loading")} />}
        {storeId && files.data && files.data.length > 0 && (
          <ul className={classes.files} aria-label={t("store.files")}>
            {files.data.map((file) => (
              <StoreFileRow key={file.id} storeId={storeId} file={file} onOpen={() => setOpened(file.id)} />
            ))}
          </ul>
        )}
        <MoreOf list={files} />
        <UploadList
          uploads={uploads.filter(({ fileId }) => !isListed(fileId))}
          onStop={stop}
          onRetry={retry}
        />
        {store.data && store.data.file_counts.in_progress > 0 && (
          <Text size="xs" c="dimmed" role="status">
            {t("store.reading", { count: store.data.file_counts.in_progress })}
          </Text>
        )}
      </DropArea>
      {storeId && <PassagesDrawer storeId={storeId} fileId={opened} onClose={() => setOpened(null)} />}
    </Stack>
  )
}
