import { Alert, Button, Group, Stack, Text } from "@mantine/core"
import { IconAlertTriangle, IconPlayerStop } from "@tabler/icons-react"
import type { ReactNode } from "react"
import { useTranslation } from "react-i18next"
import { NotedFault } from "../app/FaultWords"
import type { Run } from "./objects"

/** Why a run ended otherwise than with its answer, and what can be done. */
export function RunEnd({ run, onAgain }: { run: Run; onAgain: (() => void) | null }) {
  const { t } = useTranslation("threads")
  const again = onAgain && (
    <Button size="compact-sm" variant="default" onClick={onAgain}>
      {t("conversation.again")}
    </Button>
  )
  switch (run.status) {
    case "failed":
      return (
        <Alert
          variant="default"
          color="red"
          icon={<IconAlertTriangle aria-hidden color="var(--mantine-color-error)" />}
          title={t("run.failed")}
        >
          <Stack gap="xs" align="flex-start">
            {run.last_error ? (
              <NotedFault error={run.last_error} otherwise={t(`run.${run.last_error.code}`)} />
            ) : (
              <Text size="sm">{t("run.other")}</Text>
            )}
            {again}
          </Stack>
        </Alert>
      )
    case "incomplete":
      return (
        <Warning title={t("run.incomplete")}>
          <Text size="sm">{t(`run.${run.incomplete_details?.reason ?? "other"}`)}</Text>
          {again}
        </Warning>
      )
    case "expired":
      return (
        <Warning title={t("run.expired")}>
          <Text size="sm">{t("run.expiredText")}</Text>
          {again}
        </Warning>
      )
    case "cancelled":
      return (
        <Group gap="xs" c="dimmed">
          <IconPlayerStop size={16} aria-hidden />
          <Text size="sm">{t("run.cancelled")}</Text>
          {again}
        </Group>
      )
    case "queued":
    case "in_progress":
    case "requires_action":
    case "cancelling":
    case "completed":
      return null
  }
}

function Warning({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Alert variant="default" color="yellow" icon={<IconAlertTriangle aria-hidden />} title={title}>
      <Stack gap="xs" align="flex-start">
        {children}
      </Stack>
    </Alert>
  )
}
