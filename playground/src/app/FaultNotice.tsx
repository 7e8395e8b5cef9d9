import { Alert, Button, Group, Stack, Text } from "@mantine/core"
import { IconAlertTriangle } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { faultOf, isWorthRetrying } from "../api/errors"
import { ServerWords } from "./FaultWords"

/** Says what went wrong, what the server said about it, and what can be done. */
export function FaultNotice({ error, onRetry }: { error: unknown; onRetry?: (() => void) | undefined }) {
  const { t } = useTranslation()
  const fault = faultOf(error)
  return (
    <Alert
      role="alert"
      variant="light"
      color="red"
      icon={<IconAlertTriangle aria-hidden />}
      title={t(`errors.title.${fault.kind}`)}
    >
      <Stack gap="xs">
        {fault.detail && !fault.reason && (
          <Text size="sm" lang="en" style={{ overflowWrap: "anywhere" }}>
            {fault.detail}
          </Text>
        )}
        <Text size="sm">
          {fault.reason ? t(`errors.reason.${fault.reason}`) : t(`errors.text.${fault.kind}`)}
        </Text>
        {fault.detail && fault.reason && <ServerWords>{fault.detail}</ServerWords>}
        {fault.requestId && (
          <Text size="xs" ff="monospace">
            {t("errors.requestId", { id: fault.requestId })}
          </Text>
        )}
        {onRetry && isWorthRetrying(fault) && (
          <Group>
            <Button size="xs" variant="default" onClick={onRetry}>
              {t("actions.retry")}
            </Button>
          </Group>
        )}
      </Stack>
    </Alert>
  )
}
