import { Button, CloseButton, Group, Progress, Stack, Text } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { faultOf } from "../api/errors"
import { SmallFault } from "../app/FaultWords"
import type { Uploading } from "./useUploads"

interface Props {
  uploads: Uploading[]
  onStop: (id: number) => void
  onRetry: (upload: Uploading) => void
}

/** Files on their way to the server. */
export function UploadList({ uploads, onStop, onRetry }: Props) {
  if (uploads.length === 0) return null
  return (
    <Stack gap="xs" component="ul" p={0} m={0} style={{ listStyle: "none" }}>
      {uploads.map((upload) => (
        <li key={upload.id}>
          <UploadRow upload={upload} onStop={onStop} onRetry={onRetry} />
        </li>
      ))}
    </Stack>
  )
}

function UploadRow({ upload, onStop, onRetry }: Omit<Props, "uploads"> & { upload: Uploading }) {
  const { t } = useTranslation("files")
  const { t: common } = useTranslation()
  const { file, progress, error } = upload
  const fault = error ? faultOf(error) : null
  return (
    <Stack gap={4}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" truncate>
          {file.name}
        </Text>
        <Group gap={4} wrap="nowrap">
          {fault && (
            <Button size="compact-xs" variant="default" onClick={() => onRetry(upload)}>
              {common("actions.retry")}
            </Button>
          )}
          <CloseButton
            size="sm"
            onClick={() => onStop(upload.id)}
            aria-label={
              fault ? t("upload.dismiss", { name: file.name }) : t("upload.stop", { name: file.name })
            }
          />
        </Group>
      </Group>
      {fault ? (
        <SmallFault role="alert" fault={fault} within={(why) => t("upload.failed", { why })} />
      ) : (
        <Progress
          value={Math.max(4, progress * 100)}
          animated={progress === 0 || progress === 1}
          size="sm"
          aria-label={t("upload.progress", { name: file.name })}
        />
      )}
    </Stack>
  )
}
