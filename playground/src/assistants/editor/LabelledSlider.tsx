import { Group, Input, NumberInput, Slider, Text } from "@mantine/core"

interface Props {
  label: string
  text?: string
  min: number
  max: number
  step: number
  value: number
  onChange: (value: number) => void
}

/** A number that can be dragged or typed. */
export function LabelledSlider({ label, text, min, max, step, value, onChange }: Props) {
  return (
    <div>
      <Group justify="space-between" wrap="nowrap" mb={4}>
        <div>
          <Input.Label labelElement="div">{label}</Input.Label>
          {text && (
            <Text size="xs" c="dimmed">
              {text}
            </Text>
          )}
        </div>
        <NumberInput
          aria-label={label}
          size="xs"
          w={72}
          min={min}
          max={max}
          step={step}
          decimalScale={2}
          clampBehavior="strict"
          value={value}
          onChange={(typed) => typeof typed === "number" && onChange(typed)}
        />
      </Group>
      <Slider
        min={min}
        max={max}
        step={step}
        value={value}
        onChange={onChange}
        label={null}
        thumbLabel={label}
      />
    </div>
  )
}
