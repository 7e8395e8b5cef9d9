import { Button, Group, Modal, Stack, Text } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { useBlocker } from "react-router"
import type { Saving } from "./autosave"

/** Asks before another page takes the place of one whose changes could not be saved. */
export function LeaveGuard({ saving }: { saving: Saving }) {
  const { t } = useTranslation()
  const isUnsaved = saving.state === "blocked" || saving.state === "failed"
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) => isUnsaved && currentLocation.pathname !== nextLocation.pathname,
  )
  return (
    <Modal
      opened={blocker.state === "blocked"}
      onClose={() => blocker.reset?.()}
      title={t("leave.title")}
      closeButtonProps={{ "aria-label": t("actions.close") }}
    >
      <Stack>
        <Text size="sm">{t("leave.text")}</Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={() => blocker.reset?.()} data-autofocus>
            {t("leave.stay")}
          </Button>
          <Button color="red.9" onClick={() => blocker.proceed?.()}>
            {t("leave.leave")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
