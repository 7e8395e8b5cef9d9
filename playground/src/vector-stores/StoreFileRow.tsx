import { ActionIcon, Group, Loader, Text, UnstyledButton } from "@mantine/core"
import { IconAlertTriangle, IconCircleCheck, IconCircleOff, IconFileText, IconX } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { reasonOf } from "../api/reasons"
import { SmallFault } from "../app/FaultWords"
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
          <SmallFault
            fault={{ reason: reasonOf(file.last_error.code, null), detail: file.last_error.message }}
          />
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

function FileStatus({ status }: { status: StoreFile["status"] }) {
  const { t } = useTranslation("files")
  return (
    <Group gap={5} wrap="nowrap" flex="none" miw={64}>
      <StatusSign status={status} />
      <Text size="xs" c={status === "failed" ? "var(--mantine-color-error)" : "dimmed"}>
        {t(`store.status.${status}`)}
      </Text>
    </Group>
  )
}

function StatusSign({ status }: { status: StoreFile["status"] }) {
  switch (status) {
    case "completed":
      return <IconCircleCheck size={15} color="light-dark(#0b7a55, #51cf9b)" aria-hidden />
    case "in_progress":
      return <Loader size={12} color="gray" aria-hidden />
    case "failed":
      return <IconAlertTriangle size={15} color="var(--mantine-color-error)" aria-hidden />
    case "cancelled":
      return <IconCircleOff size={15} aria-hidden />
  }
}
