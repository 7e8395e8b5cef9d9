import { Button, Drawer, Group, Select, Stack, Text } from "@mantine/core"
import { IconDatabasePlus, IconDownload, IconTrash } from "@tabler/icons-react"
import { NotFoundError } from "openai"
import { useState } from "react"
import { useTranslation } from "react-i18next"
import { useNavigate } from "react-router"
import { CopyId } from "../app/CopyId"
import { Facts } from "../app/Facts"
import { FaultNotice } from "../app/FaultNotice"
import { useFormat } from "../app/format"
import { notifyFault } from "../app/notify"
import { useAttachFile, useVectorStores } from "../vector-stores/queries"
import { usePurposeWords } from "./purposes"
import { download, type ShownFile, useFile } from "./queries"
import { useAskToDeleteFile } from "./useAskToDeleteFile"

interface Props {
  /** Null while none is to be shown. */
  fileId: string | null
  onClose: () => void
}

/** All that is known of a file, and what can be done with it. */
export function FileDrawer({ fileId, onClose }: Props) {
  const { t } = useTranslation(["app", "files"])
  const { data: file, error, refetch } = useFile(fileId)
  const isGone = error instanceof NotFoundError
  return (
    <Drawer
      opened={fileId !== null}
      onClose={onClose}
      position="right"
      title={isGone ? t("errors.title.gone") : file?.filename}
      closeButtonProps={{ "aria-label": t("actions.close") }}
    >
      {isGone && <Text size="sm">{t("files:gone")}</Text>}
      {error && !isGone ? <FaultNotice error={error} onRetry={() => void refetch()} /> : null}
      {file && !error && <Details file={file} onDeleted={onClose} />}
    </Drawer>
  )
}

function Details({ file, onDeleted }: { file: ShownFile; onDeleted: () => void }) {
  const { t } = useTranslation("files")
  const { bytes, moment, number } = useFormat()
  const purposeWords = usePurposeWords()
  const askToDelete = useAskToDeleteFile()
  const facts = [
    { name: t("facts.id"), value: <CopyId id={file.id} /> },
    { name: t("columns.purpose"), value: purposeWords(file.purpose) },
    {
      name: t("columns.size"),
      value: file.bytes < 1000 ? bytes(file.bytes) : `${bytes(file.bytes)} (${number(file.bytes)})`,
    },
    { name: t("columns.created"), value: moment(file.created_at) },
    ...(file.expires_at ? [{ name: t("facts.expires"), value: moment(file.expires_at) }] : []),
  ]
  return (
    <Stack gap="lg">
      <Facts facts={facts} />
      {file.purpose === "assistants" && <AddToStore file={file} />}
      <Group gap="sm">
        {file.downloadable && (
          <Button
            size="xs"
            variant="default"
            leftSection={<IconDownload size={15} aria-hidden />}
            onClick={() => void download(file).catch(notifyFault)}
          >
            {t("download")}
          </Button>
        )}
        <Button
          size="xs"
          variant="light"
          color="red"
          leftSection={<IconTrash size={15} aria-hidden />}
          onClick={() => askToDelete(file, onDeleted)}
        >
          {t("delete.action")}
        </Button>
      </Group>
    </Stack>
  )
}

function AddToStore({ file }: { file: ShownFile }) {
  const { t } = useTranslation("files")
  const navigate = useNavigate()
  const { data: stores = [] } = useVectorStores()
  const attach = useAttachFile()
  const [storeId, setStoreId] = useState<string | null>(null)

  async function add(id: string) {
    try {
      await attach.mutateAsync({ storeId: id, fileId: file.id })
      await navigate(`/vector-stores/${id}`)
    } catch (error) {
      notifyFault(error)
    }
  }

  return (
    <Group align="flex-end" gap="xs" wrap="nowrap">
      <Select
        flex={1}
        label={t("addToStore.label")}
        placeholder={stores.length > 0 ? t("addToStore.choose") : t("addToStore.none")}
        data={stores.map((store) => ({ value: store.id, label: store.name || store.id }))}
        value={storeId}
        onChange={setStoreId}
        disabled={stores.length === 0}
        searchable
      />
      <Button
        variant="default"
        leftSection={<IconDatabasePlus size={16} aria-hidden />}
        disabled={!storeId}
        loading={attach.isPending}
        onClick={() => storeId && void add(storeId)}
      >
        {t("addToStore.add")}
      </Button>
    </Group>
  )
}
