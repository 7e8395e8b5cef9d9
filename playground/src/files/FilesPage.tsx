import { Group, Select, Skeleton, Stack, Text, TextInput } from "@mantine/core"
import { IconFiles, IconSearch } from "@tabler/icons-react"
import { useDeferredValue, useState } from "react"
import { useTranslation } from "react-i18next"
import { useNavigate, useParams } from "react-router"
import { EmptyState } from "../app/EmptyState"
import { FaultNotice } from "../app/FaultNotice"
import { MoreOf } from "../app/MoreButton"
import { Page } from "../app/Page"
import { DropArea } from "./DropArea"
import { FileDrawer } from "./FileDrawer"
import { FileTable } from "./FileTable"
import { usePurposeWords } from "./purposes"
import { useFiles, useRememberFile } from "./queries"
import { UploadList } from "./UploadList"
import type { StoredFile } from "./upload"
import { useUploads } from "./useUploads"

export function Component() {
  const { t } = useTranslation("files")
  const { fileId } = useParams()
  const navigate = useNavigate()
  const files = useFiles()
  const remember = useRememberFile()
  const { uploads, add, stop, retry } = useUploads(async (file) => remember(file))

  return (
    <Page title={t("title")}>
      <DropArea onFiles={add} hint={t("dropHint")}>
        <UploadList uploads={uploads} onStop={stop} onRetry={retry} />
      </DropArea>
      {files.error ? <FaultNotice error={files.error} onRetry={() => void files.refetch()} /> : null}
      {files.isLoading && <Skeleton height={180} radius="md" aria-label={t("loading")} />}
      {files.data?.length === 0 && (
        <EmptyState icon={IconFiles} title={t("empty.title")} text={t("empty.text")} />
      )}
      {files.data && files.data.length > 0 && <FoundFiles files={files.data} />}
      <MoreOf list={files} />
      <FileDrawer fileId={fileId ?? null} onClose={() => void navigate("/files")} />
    </Page>
  )
}

function FoundFiles({ files }: { files: StoredFile[] }) {
  const { t } = useTranslation("files")
  const { t: common } = useTranslation()
  const words = usePurposeWords()
  const [search, setSearch] = useState("")
  const [purpose, setPurpose] = useState<string | null>(null)
  const sought = useDeferredValue(search.trim().toLowerCase())
  const purposes = [...new Set(files.map((file) => file.purpose))]
  const found = files.filter(
    (file) =>
      `${file.filename} ${file.id}`.toLowerCase().includes(sought) && (!purpose || file.purpose === purpose),
  )
  return (
    <Stack gap="sm">
      <Group gap="sm">
        <TextInput
          type="search"
          flex={1}
          miw={180}
          aria-label={t("search")}
          placeholder={t("search")}
          leftSection={<IconSearch size={15} aria-hidden />}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
        />
        {purposes.length > 1 && (
          <Select
            w={220}
            aria-label={t("purpose.label")}
            placeholder={t("purpose.all")}
            data={purposes.map((value) => ({ value, label: words(value) }))}
            value={purpose}
            onChange={setPurpose}
            clearable
          />
        )}
      </Group>
      {(sought || purpose) && (
        <Text size="xs" c="dimmed" role="status">
          {common("search.found", { count: found.length })}
        </Text>
      )}
      {found.length > 0 && <FileTable files={found} />}
    </Stack>
  )
}
