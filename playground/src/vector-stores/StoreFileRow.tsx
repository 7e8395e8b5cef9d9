import { ActionIcon, Badge, Loader, Text, UnstyledButton } from "@mantine/core"
import { IconFileText, IconX } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { useFormat } from "../app/format"
import { notifyFault } from "../app/notify"
import { useFilesById } from "../files/queries"
import { type StoreFile, useDetachFile } from "./queries"
import classes from "./StoreFiles.module.css"

interface Props {
  storeId: string
  file: StoreFile
  onOpen: () => void
}

export function StoreFileRow({ storeId, file, onOpen }: Props) {
  const { t } = useTranslation("files")
  const { bytes } = useFormat()
  const stored = useFilesById().get(file.id)
  const detach = useDetachFile(storeId)
  const name = stored?.filename ?? file.id

  return (
    <li className={classes.row}>
      <IconFileText size={18} stroke={1.5} aria-hidden style={{ flex: "none" }} />
      <div className={classes.name}>
        {file.status === "completed" ? (
          <UnstyledButton className={classes.open ?? ""} onClick={onOpen} title={t("store.open")}>
            {name}
          </UnstyledButton>
        ) : (
          <Text size="sm" truncate>
            {name}
          </Text>
        )}
        {file.last_error && (
          <Text size="xs" c="var(--mantine-color-error)" lang="en">
            {file.last_error.message}
          </Text>
        )}
      </div>
      {stored && (
        <Text size="xs" c="dimmed" flex="none">
          {bytes(stored.bytes)}
        </Text>
      )}
      <FileStatus status={file.status} />
      <ActionIcon
        variant="subtle"
        color="gray"
        onClick={() => detach.mutate(file.id, { onError: notifyFault })}
        loading={detach.isPending}
        aria-label={t("store.detach", { name })}
        title={t("store.detach", { name })}
      >
        <IconX size={16} />
      </ActionIcon>
    </li>
  )
}

const COLOURS = { completed: "teal", failed: "red", cancelled: "gray", in_progress: "gray" } as const

function FileStatus({ status }: { status: StoreFile["status"] }) {
  const { t } = useTranslation("files")
  return (
    <Badge
      variant="light"
      color={COLOURS[status]}
      flex="none"
      leftSection={status === "in_progress" ? <Loader size={10} color="gray" aria-hidden /> : undefined}
    >
      {t(`store.status.${status}`)}
    </Badge>
  )
}
