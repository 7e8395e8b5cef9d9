import { Button, Center } from "@mantine/core"
import { useTranslation } from "react-i18next"

/** At the end of a list that has more. */
export function MoreButton({ onClick }: { onClick: () => void }) {
  const { t } = useTranslation()
  return (
    <Center p="sm">
      <Button size="xs" variant="default" onClick={onClick}>
        {t("actions.more")}
      </Button>
    </Center>
  )
}
