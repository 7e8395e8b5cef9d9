import { Button, Group, Loader, Text } from "@mantine/core"
import { IconAlertTriangle, IconCheck } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { faultOf } from "../api/errors"
import type { Saving } from "./autosave"
import { useFaultWords } from "./FaultWords"

/** Says plainly whether what is on the screen is on the server. */
export function SaveStatus({ saving, onRetry }: { saving: Saving; onRetry: () => void }) {
  const { t } = useTranslation()
  const words = useFaultWords()
  switch (saving.state) {
    case "saved":
      return (
        <Group gap={5} wrap="nowrap" c="dimmed">
          <IconCheck size={15} aria-hidden />
          <Text size="xs">{t("saving.saved")}</Text>
        </Group>
      )
    case "saving":
      return (
        <Group gap={6} wrap="nowrap" c="dimmed">
          <Loader size={12} color="gray" aria-hidden />
          <Text size="xs">{t("saving.saving")}</Text>
        </Group>
      )
    case "blocked":
      return <NotSaved why={saving.problem} />
    case "failed":
      return (
        <Group gap="xs" wrap="nowrap">
          <NotSaved why={words(faultOf(saving.error))} />
          <Button size="compact-xs" variant="default" onClick={onRetry} flex="none">
            {t("actions.retry")}
          </Button>
        </Group>
      )
  }
}

function NotSaved({ why }: { why: string }) {
  const { t } = useTranslation()
  return (
    <Group gap={5} wrap="nowrap" c="var(--mantine-color-error)" role="alert">
      <IconAlertTriangle size={15} aria-hidden style={{ flex: "none" }} />
      <Text size="xs" fw={500} lineClamp={2}>
        {t("saving.notSaved", { why })}
      </Text>
    </Group>
  )
}
